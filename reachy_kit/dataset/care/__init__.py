"""Care of recorded datasets: edits that leave a whole dataset or the old one, show, share, convert and forget."""
