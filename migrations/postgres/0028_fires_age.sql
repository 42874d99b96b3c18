-- Fires are forgotten by age.
CREATE INDEX schedule_fires_age ON schedule_fires (fired_at);
