"""Files of one or two texts whose scores are worked by hand."""

# "the old cat saw it ." with "saw" as its root, and "cats sleep".
TREEBANK = """\
# text = the old cat saw it.
1\tthe\t_\tDET\t_\t_\t3\tdet\t_\t_
2\told\t_\tADJ\t_\t_\t3\tamod\t_\t_
3\tcat\t_\tNOUN\t_\t_\t4\tnsubj:pass\t_\t_
4\tsaw\t_\tVERB\t_\t_\t0\troot\t_\t_
5-6\tit.\t_\t_\t_\t_\t_\t_\t_\t_
5\tit\t_\tPRON\t_\t_\t4\tobj\t_\t_
5.1\tnothing\t_\t_\t_\t_\t_\t_\t_\t_
6\t.\t_\tPUNCT\t_\t_\t4\tpunct\t_\t_

1\tcats\t_\tNOUN\t_\t_\t2\tnsubj\t_\t_
2\tsleep\t_\tVERB\t_\t_\t0\troot\t_\t_
"""

GAP_COLUMNS = (
    "ID Text Pronoun Pronoun-offset A A-offset A-coref B B-offset B-coref URL"
)
GAP_ROWS = (
    # "Ann Lee" and Bea before "she": Ann Lee
    "1|Ann Lee saw Bea . she left|she|18|Ann Lee|0|TRUE|Bea|12|FALSE|u",
    # Cy before and Di after "her": Di
    "2|Cy saw her . Di left|her|7|Cy|0|FALSE|Di|13|TRUE|u",
    # neither
    "3|Ed and Flo saw him|him|15|Ed|0|FALSE|Flo|7|FALSE|u",
)
GAP = "\n".join(
    ["\t".join(GAP_COLUMNS.split()), *(r.replace("|", "\t") for r in GAP_ROWS)]
)
