require "convert";
convert "image" "image/jpeg" ["pix-x=1"];
convert "image/tiff" "jpeg" ["a=b"];
convert "image/tiff" "image/jpeg" ["pix-x"];
convert "image/tiff" "image/jpeg";
