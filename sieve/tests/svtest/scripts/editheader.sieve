require ["editheader", "fileinto", "copy"];
fileinto :copy "before";
deleteheader "x-gone";
addheader "X-Added" "yes";
fileinto :copy "after";
