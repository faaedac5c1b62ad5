"""The SDK's client, and the robot's camera and microphone through it."""
