require "include";
include :global "loop";
