using System.Net;
using System.Net.Sockets;

namespace MultiCluster.TestSupport;

/// <summary>Passes connections on loopback on to a server, until it is cut: then what is open goes silent, as behind a broken switch.</summary>
public sealed class TcpRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<TcpClient> _open = [];
    private readonly IPEndPoint _target;
    private readonly Task _accepting;
    private bool _isCut;

    public TcpRelay(IPEndPoint target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    private bool IsCut
    {
        get
        {
            lock (_gate)
            {
                return _isCut;
            }
        }
    }

    /// <summary>Nothing passes any more: connections stand, and hear nothing; new ones are taken and hear nothing either.</summary>
    public void Cut()
    {
        lock (_gate)
        {
            _isCut = true;
        }
    }

    /// <summary>New connections pass again; those from before are broken.</summary>
    public void Mend()
    {
        lock (_gate)
        {
            _isCut = false;
            _open.ForEach(one => one.Dispose());
            _open.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        Mend();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_stop.Token);
                var server = new TcpClient();
                lock (_gate)
                {
                    _open.Add(client);
                    _open.Add(server);
                }

                _ = RelayAsync(client, server);   // ends with its connections, which are closed at the end
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException && _stop.IsCancellationRequested)
        {
            // The test is over.
        }
    }

    private async Task RelayAsync(TcpClient client, TcpClient server)
    {
        try
        {
            await server.ConnectAsync(_target, _stop.Token);
            await Task.WhenAny(PumpAsync(client, server), PumpAsync(server, client));
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
        {
            // One of the two has gone.
        }
        finally
        {
            if (!IsCut)
            {
                client.Dispose();
                server.Dispose();
            }
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to)
    {
        byte[] buffer = new byte[16 * 1024];
        NetworkStream input = from.GetStream();
        NetworkStream output = to.GetStream();
        while (await input.ReadAsync(buffer, _stop.Token) is > 0 and var read)
        {
            if (!IsCut)
            {
                await output.WriteAsync(buffer.AsMemory(0, read), _stop.Token);
            }
        }
    }
}
