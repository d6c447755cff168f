"""Commands for other people's programs: run and doctor."""
