"""Dataset folders: an output in parts, each computed, written and skipped by itself.

    feats/part-00000.parquet, part-00001.parquet ...   rows
    feats/_failed/part-00000.parquet                   images that failed, where some did
    feats/_vggfeat.json                                the manifest, written last

A part is made from one unit of the sources and tells of itself what it was made from and how. So
what is done is seen from the parts alone, by whoever comes: the next run, another process, another
machine. The manifest is there while all parts belong together; before the first of them is
replaced it becomes `_unfinished.json`.
"""
