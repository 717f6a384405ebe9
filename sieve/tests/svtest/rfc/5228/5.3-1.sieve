# The truth values of the table.
if anyof (false, false) { discard; }
if not anyof (false, true) { discard; }
if not anyof (true, true) { discard; }
