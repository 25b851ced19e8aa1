"""Files as people have them: folders of CSV, workbooks, carriers' own sheets, in and out."""
