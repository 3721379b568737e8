"""`python -m api`: serve the API with uvicorn as the settings say."""

if __name__ == "__main__":
    # The renderer's child imports this module by another name: there it must stay without the application.
    from api.serving import main

    main()
