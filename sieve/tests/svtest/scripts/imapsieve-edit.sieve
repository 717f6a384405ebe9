require ["editheader", "imapsieve", "fileinto"];
addheader "X-Added" "yes";
fileinto "Other";
keep;
