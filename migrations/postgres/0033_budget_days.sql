-- A workspace that spends looks at the platform's row and adds to it; it never removes one.
REVOKE DELETE ON budget_days FROM aiv_tenant;
