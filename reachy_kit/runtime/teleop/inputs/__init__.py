"""What devices read: a webcam, files of recorded moves."""
