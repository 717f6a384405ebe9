require "regex";
if header :regex "subject" ["(open", "*x", "fine"] { discard; }
if header :regex "subject" "[a" { discard; }
