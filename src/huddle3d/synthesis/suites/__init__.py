"""What training may see, what the evaluation is made of, and the fixed lists of its scenes."""
