"""How the Helm chart is made of the manifests."""
