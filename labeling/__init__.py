"""What people say of data: queues, Label Studio, agreement, consensus, weak labels."""

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.labeling: the repository root on sys.path gives a second copy")
