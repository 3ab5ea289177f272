"""Who acts: staff, teams, roles and rights, handheld devices, enrolment and tokens."""
