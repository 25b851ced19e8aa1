"""An .xlsx file becomes cells as the person sees them: package.py opens it, sheet.py reads its cells."""
