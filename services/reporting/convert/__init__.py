"""How it is spelled: what is heard and told between services (`events`), and what callers read (`messages`)."""
