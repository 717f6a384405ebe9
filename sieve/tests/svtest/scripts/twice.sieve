require "fileinto";
fileinto "a"; fileinto "a"; keep; keep;
redirect "x@example.org"; redirect "x@EXAMPLE.org";
stop; discard;
