"""What kind of file it is, by its name and its first bytes."""

# Raw files of cameras, in lower case with the dot: what a sensor saw, with a thumbnail before it.
RAW_EXTENSIONS = frozenset(
    ".3fr .arw .bay .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25 .kdc .mdc"
    " .mef .mos .mrw .nef .nrw .orf .pef .ptx .pxn .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
