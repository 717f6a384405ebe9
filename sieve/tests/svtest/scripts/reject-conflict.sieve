require ["reject", "fileinto"];
fileinto "a";
reject "No.";
