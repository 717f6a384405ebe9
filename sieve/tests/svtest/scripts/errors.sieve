require ["fileinto", "bogus"];
fileinto;
fileinto "a" "b";
fileinto 3;
redirect "not an address";
if header "a" "b";
else { keep; }
keep { stop; }
frobnicate "x";
if frobnicated { stop; }
if header :is :contains "a" "b" { stop; }
if header :comparator "i;klingon" "a" "b" { stop; }
if size 100 { stop; }
if address "subject" "x" { stop; }
vacation "no require";
if not { stop; }
if anyof { stop; }
require "copy";
