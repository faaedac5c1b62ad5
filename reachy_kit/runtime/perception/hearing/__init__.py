"""Hearing: from a microphone's samples to direction, level, voice, onsets and beat."""
