require ["mime", "foreverypart", "convert"];
foreverypart {
    if header :mime :param "filename" :contains "Content-Disposition" "inline" {
        convert "image/tiff" "image/jpeg" ["pix-x=10"];
    }
}
