require ["mime", "foreverypart", "replace", "enclose", "fileinto"];
foreverypart {
    if header :mime :type "content-type" "image" { replace "There was a picture here."; }
}
fileinto "replaced";
enclose :subject "Wrapped" :headers ["X-Warning: enclosed"] "See inside.";
fileinto "enclosed";
