"""The commands of ``reachy-kit dataset`` that talk to the Hugging Face Hub: one file per verb."""
