"""`python -m keeprate.deploy.grafana`: write the dashboards anew."""

from keeprate.deploy.grafana.writing import main

if __name__ == "__main__":
    main()
