"""Label Studio, the page that annotators see: spoken to through its SDK, installed and run for one machine."""
