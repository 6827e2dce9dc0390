-- Whoever inserts pushes counts them, all of one connector at once: with a trigger, each insert would copy the pages that it
-- changes first.
DROP TRIGGER pushes_counted;
