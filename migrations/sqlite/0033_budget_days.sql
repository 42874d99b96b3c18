-- SQLite has no roles to take a right from.
SELECT 1;
