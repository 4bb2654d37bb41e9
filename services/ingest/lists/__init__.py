"""Series of a mailing list: which mails are one series, without a Patchwork that says so."""
