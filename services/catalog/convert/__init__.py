"""How the catalog's entities are spelled: entity ⇄ message, a file per resource."""
