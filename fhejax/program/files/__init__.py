"""Files of programs and of what is encrypted for them: data alone, in the container of `ckks.files`."""
