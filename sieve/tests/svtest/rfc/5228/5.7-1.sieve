# RFC 5228, section 5.7
if header :is ["X-Caffeine"] [""] { discard; }
if not header :contains ["X-Caffeine"] [""] { discard; }
