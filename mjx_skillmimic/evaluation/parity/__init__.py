"""How far engines agree: the model side by side, courses replayed, policies carried from one to another."""
