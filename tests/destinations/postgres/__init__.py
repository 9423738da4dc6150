"""Postgres for real, where Debian's packages put one."""
