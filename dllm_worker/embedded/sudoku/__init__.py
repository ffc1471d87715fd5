"""A diffusion model that fills in 9x9 Sudoku: the canvas is the board, its holes are the empty cells."""
