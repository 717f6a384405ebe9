# RFC 5228, section 4.3
if not size :under 1M { discard; }
