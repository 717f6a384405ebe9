require "reject";
reject text:
No mail
from you.
.
;
