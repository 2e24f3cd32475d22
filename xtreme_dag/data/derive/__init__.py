"""Tables made from other tables: translations, and texts for objectives without labels."""
