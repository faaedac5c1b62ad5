"""The commands of ``reachy-kit dataset`` that change a dataset or write another one: one file per verb."""
