require ["fileinto", "copy"];
fileinto :copy "archive";
redirect :copy "other@example.org";
