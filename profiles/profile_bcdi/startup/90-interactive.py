"""What only a person in a terminal wants: a table of each scan, %mov and %wa, a greeting."""

if INTERACTIVE:
    import gc

    from bluesky.callbacks.best_effort import BestEffortCallback
    from bluesky.magics import BlueskyMagics

    bec = BestEffortCallback()
    bec.disable_plots()
    RE.subscribe(bec)
    get_ipython().register_magics(BlueskyMagics)
    print("Try  RE(bcdi_rocking_scan(maxipix, eta, sample='crystal'))  and  %inpaint")
    gc.freeze()  # what is loaded by now stays: nobody waits for a search through it at the end
