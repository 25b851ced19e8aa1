"""The core decides: compiled kernels over arrays that know no clock, socket, file or chance."""
