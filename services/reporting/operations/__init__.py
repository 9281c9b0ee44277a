"""What can be done: project what is heard, answer what is asked, forget what was deleted."""
