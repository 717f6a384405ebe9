require "encoded-character";
if header "Subject" "${unicode:200000}" { discard; }
if header "Subject" "${Unicode:DF01}" { discard; }
