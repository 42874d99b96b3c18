-- The day that a rule on a metric was last held against.
ALTER TABLE alert_rules ADD COLUMN evaluated_on DATE;
