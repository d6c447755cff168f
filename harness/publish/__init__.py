"""From records to documents: tables, figures, the report."""
