# RFC 5228, section 5.2
# The truth values of the table.
if allof (false, false) { discard; }
if allof (false, true) { discard; }
if not allof (true, true) { discard; }
